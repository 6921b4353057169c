package engine

// Touched has f called before each change of the disk.
func (d *MemoryDisk) Touched(f func()) { d.touched = f }
