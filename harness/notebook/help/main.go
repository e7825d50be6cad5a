// Help prints what each command of a notebook does and takes; with -markdown, as the README's table.
package main

import (
	"flag"
	"fmt"
	"os"

	"ghostroute/harness/notebook"
)

func main() {
	markdown := flag.Bool("markdown", false, "print the README's table")
	flag.Parse()
	write := notebook.Help
	if *markdown {
		write = notebook.Markdown
	}
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
