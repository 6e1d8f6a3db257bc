package source

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"

	"github.com/aws/aws-sdk-go/aws/awserr"
)

// inner returns the cause that an error of AWS's client, or any other, wraps.
func inner(err error) error {
	if e := awserr.Error(nil); errors.As(err, &e) {
		return e.OrigErr()
	}
	return errors.Unwrap(err)
}

// wrongCertificate tells whether the one who answers is not who was asked for, or speaks no TLS: that lasts.
func wrongCertificate(err error) bool {
	var (
		unknown   x509.UnknownAuthorityError
		wrongHost x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
	)
	for e := err; e != nil; e = inner(e) {
		if errors.As(e, &unknown) || errors.As(e, &wrongHost) || errors.As(e, &invalid) || errors.As(e, &record) {
			return true
		}
	}
	return false
}

// innermost is the cause of an error in one line, where there was no answer of the store: clients' own texts quote URLs, which
// may hold credentials.
func innermost(err error) string {
	told := err
	for e := err; e != nil; e = inner(e) {
		var broken *net.OpError
		var sent *url.Error
		told = e
		if errors.As(e, &broken) {
			told = broken
			break
		}
		if errors.As(e, &sent) {
			told = sent.Err
			break
		}
	}
	return firstLine(told.Error())
}
