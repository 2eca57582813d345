package artifacts

import (
	"fmt"
	"strconv"
	"strings"
)

// While a test runs, its log may be in storage in parts already, so that it is not
// lost with its pod. The parts of "build-log.txt" are
//
//	build-log.parts/000001.txt
//	build-log.parts/000002.txt
//	...
//
// and those of "<container>-build-log.txt" are in "<container>-build-log.parts/".
// They are numbered from 1 without a gap, each but the last ends at the end of a line
// where lines are not excessively long, and all of them in order are the beginning
// of the log, censored, byte for byte. In the end the log itself is stored, and then
// the parts are deleted.
//
// So a reader takes the log if there is one, whatever parts there are, and else the
// parts in order up to the first gap. If a part vanishes while they are read, the log
// is there by now, and goes on at the same offset.

// LogPartsDir is the directory of the parts of a log, with a slash at its end. The
// log is a name or a whole key.
func LogPartsDir(log string) string { return strings.TrimSuffix(log, ".txt") + ".parts/" }

// LogPart is the name of a part of a log; the first is 1.
func LogPart(log string, number int) string {
	return fmt.Sprintf("%s%06d.txt", LogPartsDir(log), number)
}

// LogPartNumber reads the number from the name of a part; ok is false for others.
func LogPartNumber(log, name string) (number int, ok bool) {
	digits, inside := strings.CutPrefix(name, LogPartsDir(log))
	digits, isText := strings.CutSuffix(digits, ".txt")
	if !inside || !isText {
		return 0, false
	}
	number, err := strconv.Atoi(digits)
	return number, err == nil && number > 0 && LogPart(log, number) == name
}
