// Package plugins is the contract between hook and its plugins.
//
// A plugin is data plus handlers: a name, a help text, the events it handles,
// and its commands with their syntax, examples and who may use them. Dispatch,
// the plugin help of hook, the command page of deck and the reference in docs/
// are all made from that data. A plugin never imports another plugin and never
// relies on another having run first: handlers of one event run concurrently.
//
// A handler may run again after the process died in the middle of it. What it
// creates is therefore named after the delivery (see Agent.Delivery), or looked
// for before it is made.
package plugins
