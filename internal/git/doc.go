// Package git runs the git program, and keeps mirrors of repositories to work on.
//
// A Runner is hermetic: configuration of the machine and of its user has no
// effect, nothing ever prompts, and the text of messages does not depend on the
// locale. Commands end with their context, with all processes they started.
//
// A Cache has a bare mirror of each repository, within a bound. A Tree is a clone
// of a mirror, of the commits that are needed (Need), to merge, patch and push
// from. Credentials come with each conversation (Remote) and are written nowhere.
package git
