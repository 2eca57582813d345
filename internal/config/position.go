package config

// position is a place in a file; the line and the column count from 1.
type position struct {
	file         string
	line, column int
}
