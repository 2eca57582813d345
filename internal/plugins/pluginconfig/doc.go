// Package pluginconfig is the plugin configuration: plugins.yaml and its
// supplemental files.
//
// It says which plugins a repository uses and how they behave there. Loading,
// watching and reporting of mistakes work as for the main configuration
// (package config): every mistake is told with its place, and a bad file never
// replaces a good one. There is one file per section; sections this program
// does not act on are tolerated.
package pluginconfig
