// Package texts holds real text for demonstrations: a book, line by line. Its origin and licence stand in
// ORIGIN.md beside the file.
//
// The text is part of the binary, so a demonstration needs no file and no network. Blank lines are left out:
// a line is something to read.
//
// It must not import anything of this module.
package texts
