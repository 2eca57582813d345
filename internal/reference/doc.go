// Package reference writes the documentation of configuration files from the Go
// types they are decoded into: reflection tells keys and types, the source
// tells what each field means. Markdown, a commented sample file and the table
// behind `prow config explain` come from the same model, so they cannot differ.
//
// Run it through `make generate`; a test compares what is in the repository
// with what the types say.
package reference
