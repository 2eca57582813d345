// Command job is the only program of the test image.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"say", "entry point"}
	}
	switch args[0] {
	case "say":
		wd, _ := os.Getwd()
		fmt.Println(strings.Join(args[1:], " "), os.Getenv("GREETING"), wd, os.Getuid())
	case "exit":
		code, _ := strconv.Atoi(args[1])
		os.Exit(code)
	case "write":
		if err := os.WriteFile(args[1], []byte("from the container\n"), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "wait":
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println("up")
		<-c
		fmt.Println("got TERM")
		if len(args) > 1 {
			select {} // will not go
		}
		os.Exit(5)
	}
}
