module sandkeeper.dev/guest

go 1.26.0
