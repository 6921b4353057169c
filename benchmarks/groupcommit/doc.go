// Groupcommit measures how near the engine's group commit comes to the disk: 16 KiB and 1 KiB entries of many
// replicas, beside a raw file that is appended to and fdatasynced in groups of 1 MiB; and one small write at
// a time beside a raw write of 4 KiB. Engine and raw take turns in one run.
package main
