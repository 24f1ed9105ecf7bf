// Package credential hands a repository's login to Git: out of the files of a Secret as they are now, and to nobody but
// the server that the repository is on.
package credential

import (
	"fmt"
	"net/url"
	"strings"
)

// Origin is a server as Git names it: protocol, and host with its port where that is not the usual one.
type Origin struct {
	Protocol, Host string
}

// OriginOf is the server of a repository's address.
func OriginOf(repository string) (Origin, error) {
	address, err := url.Parse(repository)
	if err != nil || address.Scheme != "https" || address.Host == "" || address.User != nil {
		return Origin{}, fmt.Errorf("the repository's address must be https:// without a login in it")
	}
	return Origin{"https", canonical(address.Host)}, nil
}

// String is the address of the server's root.
func (o Origin) String() string { return o.Protocol + "://" + o.Host }

// is tells whether a protocol and a host that Git asks for are this server's.
func (o Origin) is(protocol, host string) bool {
	return protocol == o.Protocol && canonical(host) == o.Host
}

func canonical(host string) string {
	return strings.TrimSuffix(strings.ToLower(host), ":443")
}
