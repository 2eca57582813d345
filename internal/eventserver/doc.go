// Package eventserver hosts external plugins: programs of their own to which hook
// forwards webhooks.
//
// An external plugin is written like one of hook's, as a [plugins.Plugin]. The
// server checks the signature of each delivery again, writes it down before it
// answers, runs the plugin's handlers, and describes the plugin at /help.
package eventserver
