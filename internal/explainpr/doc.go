// Package explainpr is the program explain-pr, which says what every plugin that a
// repository enables, and Tide, make of a pull request now, and why.
//
// It reads what they read and changes nothing: what a plugin says comes from the
// labels it declares and from its Explain function, what Tide says from its
// pools or its status on the pull request, and from its queries in the configuration.
package explainpr
