// Package owners tells who may approve and who should review which file of a
// repository, as its OWNERS files say.
//
// A Cache reads the files of a commit without a work tree and makes an immutable
// Index of them. An Index answers for a path by looking up the directories above
// it, so that the size of the repository does not matter. Commits whose OWNERS
// files are the same share an Index.
//
// Files are written by anybody who can get a change merged, so they are bounded,
// and one that cannot be read is reported and otherwise ignored.
package owners
