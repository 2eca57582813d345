// Package prstatus tells people where their pull requests are: it searches them on
// GitHub as the visitor, and judges each by Tide's queries, its contexts and the
// runs of its jobs. What Tide itself says about a pull request goes before what is
// concluded here.
package prstatus
