// Package tot counts builds: it hands out, for each job, one number after the
// other, and never one twice.
//
// The numbers are in one small file. A number is handed out after the file
// holds it (store.go); where it cannot be written the caller is told to come
// again. A job that the file does not know may go on from where its builds in
// storage ended (fallback.go).
package tot
