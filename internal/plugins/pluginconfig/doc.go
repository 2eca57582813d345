// Package pluginconfig is the plugin configuration: plugins.yaml and its
// supplemental files.
//
// It says which plugins a repository uses and how they behave there. Loading,
// watching and reporting of mistakes work as for the main configuration
// (package config): every mistake is told with its place, and a bad file never
// replaces a good one. Mistakes that existing installations get away with are
// warnings.
//
// There is one file per section, with its type, its defaults, its rules and its
// lookups; small ones are together in small.go. Sections of plugins that this
// program does not have are read and checked as well. Supplemental files are
// merged in shards.go, which remembers where everything was written.
package pluginconfig
