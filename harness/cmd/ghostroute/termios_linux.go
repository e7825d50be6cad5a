package main

import "golang.org/x/sys/unix"

// getTermios and setTermios read and set how a terminal behaves.
const (
	getTermios = unix.TCGETS
	setTermios = unix.TCSETS
)
