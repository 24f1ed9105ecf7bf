module sandkeeper.dev/guest

go 1.26.0

require (
	github.com/klauspost/compress v1.18.5
	golang.org/x/sync v0.22.0
	golang.org/x/sys v0.47.0
)
