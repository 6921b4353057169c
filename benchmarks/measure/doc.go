// Package measure is what the benchmark programs share: the hardware line, touched memory, processor time and
// memory of a process, and results as JSON lines.
//
// Invariants: a figure is printed with its unit in its name; nothing is averaged away: every repetition has a
// line.
//
// It reads /proc and so works on Linux only.
package measure
