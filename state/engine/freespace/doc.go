// Package freespace says how much room the file system of a directory has.
//
// It decides nothing: what may be written is for the stores to say.
package freespace
