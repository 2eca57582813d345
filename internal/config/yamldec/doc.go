// Package yamldec decodes YAML straight into Go values whose fields carry json
// tags, and remembers where everything was.
//
// Decoding follows the rules users of the files rely on: YAML 1.1 scalars (yes
// and on are booleans), keys that match a field in any case, the last of two
// equal keys wins, a number or a boolean where a string is wanted becomes that
// string, unless quotes are asked for. Unlike a detour over JSON it keeps going after a mistake, so that one
// run reports all of them, each with line, column and path; and it spends a
// budget of input, nesting and memory, so that hostile input cannot do harm.
package yamldec
