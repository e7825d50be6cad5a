// Package notebook runs notebooks: text files of commands and what they print, told as a story, in the format of
// github.com/cockroachdb/datadriven, which raft's testdata is written in.
//
//	# v1-a leaves. Its word to go passes p1, and no other proxy.
//	deregister v1-a
//	----
//	v1-a deregisters through p1 (revision 4) and stops
//
// A command drives the bench that the tests drive, and nothing beside it. What it prints is the same on every run:
// nodes have names and no ports, revisions are counted from the notebook's own beginning, lists are sorted, and no
// duration is printed. An answer that disagrees with truth says so:
//
//	GHOST v1-a  hit at p2, an entry of revision 3; truth is at 4
//
// The commands stand by theme, a file each, what a command does and takes above the code that does it; Help and
// Markdown list them from there.
package notebook
