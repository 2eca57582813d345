// Package git runs the git program, and keeps mirrors of repositories to work on.
//
// A Runner is hermetic: configuration of the machine and of its user has no
// effect, nothing ever prompts, and the text of messages does not depend on the
// locale. Commands end with their context, with all processes they started.
package git
