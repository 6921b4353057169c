// Groupcommit measures how near the engine's group commit comes to the disk: 16 KiB and 1 KiB entries of many
// replicas, beside a raw file that is appended to and fdatasynced in groups of 1 MiB, in turns in one run.
package main
