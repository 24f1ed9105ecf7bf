package checkout

import (
	"log"
	"strings"
	"unicode"
)

// progress logs what a server says while it sends: lines, without what would do more to a terminal than print.
type progress struct{ log *log.Logger }

func (p progress) Write(said []byte) (int, error) {
	for _, line := range strings.FieldsFunc(string(said), func(letter rune) bool { return letter == '\r' || letter == '\n' }) {
		printable := strings.Map(func(letter rune) rune {
			if unicode.IsPrint(letter) {
				return letter
			}
			return -1
		}, line)
		p.log.Print("server: " + printable)
	}
	return len(said), nil
}
