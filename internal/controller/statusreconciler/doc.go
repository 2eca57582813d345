// Package statusreconciler carries changes of required presubmits to the pull
// requests that are open already: what is new is started, what is gone is
// retired, what is renamed is moved, so that nobody has to push again.
//
// It compares the configuration that it has dealt with last, which it keeps in
// storage (state.go), with the present one, decides for each branch what that
// means (plan.go, pure), and acts (act.go). A repository's part of the state
// moves on only when all of its pull requests are dealt with, so a restart or a
// failure in between repeats and never skips; repeating is harmless.
package statusreconciler
