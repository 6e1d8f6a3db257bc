package wire

import (
	"fmt"
	"math/bits"
	"strings"
)

// Capability is the set of protocol features that one side offers or that both
// have agreed on (the intersection).
// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
type Capability uint32

// Capability flags, with the manual's names and bits.
const (
	ClientLongPassword Capability = 1 << iota
	ClientFoundRows
	ClientLongFlag
	ClientConnectWithDB
	ClientNoSchema
	ClientCompress
	ClientODBC
	ClientLocalFiles
	ClientIgnoreSpace
	ClientProtocol41
	ClientInteractive
	ClientSSL
	ClientIgnoreSigpipe
	ClientTransactions
	ClientReserved
	ClientSecureConnection
	ClientMultiStatements
	ClientMultiResults
	ClientPSMultiResults
	ClientPluginAuth
	ClientConnectAttrs
	ClientPluginAuthLenencData
	ClientCanHandleExpiredPasswords
	ClientSessionTrack
	ClientDeprecateEOF
	ClientOptionalResultSetMetadata
	ClientZstdCompression
	ClientQueryAttributes
	ClientMultiFactorAuth
	ClientCapabilityExtension
	ClientSSLVerifyServerCert
	ClientRememberOptions
)

// Unsupported are the capabilities that the proxy removes from both sides'
// offers: encryption and compression would hide the packets from it, the last
// two change the shape of responses in ways that the Follower does not know.
const Unsupported = ClientSSL | ClientCompress | ClientZstdCompression |
	ClientOptionalResultSetMetadata | ClientCapabilityExtension

var capabilityNames = [32]string{
	"LONG_PASSWORD", "FOUND_ROWS", "LONG_FLAG", "CONNECT_WITH_DB", "NO_SCHEMA", "COMPRESS", "ODBC", "LOCAL_FILES",
	"IGNORE_SPACE", "PROTOCOL_41", "INTERACTIVE", "SSL", "IGNORE_SIGPIPE", "TRANSACTIONS", "RESERVED",
	"SECURE_CONNECTION", "MULTI_STATEMENTS", "MULTI_RESULTS", "PS_MULTI_RESULTS", "PLUGIN_AUTH", "CONNECT_ATTRS",
	"PLUGIN_AUTH_LENENC_CLIENT_DATA", "CAN_HANDLE_EXPIRED_PASSWORDS", "SESSION_TRACK", "DEPRECATE_EOF",
	"OPTIONAL_RESULTSET_METADATA", "ZSTD_COMPRESSION_ALGORITHM", "QUERY_ATTRIBUTES", "MULTI_FACTOR_AUTHENTICATION",
	"CAPABILITY_EXTENSION", "SSL_VERIFY_SERVER_CERT", "REMEMBER_OPTIONS",
}

// Has reports whether all of want are set in c.
func (c Capability) Has(want Capability) bool { return c&want == want }

// String lists the set flags without their CLIENT_ prefix, lowest bit first,
// joined by "|"; the empty set is "0".
func (c Capability) String() string { return flagNames(uint32(c), capabilityNames[:]) }

// Status is the set of server status flags in OK and EOF packets.
// https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html (SERVER_STATUS_flags_enum)
type Status uint16

// Server status flags, with the manual's names and bits.
const (
	StatusInTrans            Status = 0x0001
	StatusAutocommit         Status = 0x0002
	StatusMoreResultsExist   Status = 0x0008
	StatusNoGoodIndexUsed    Status = 0x0010
	StatusNoIndexUsed        Status = 0x0020
	StatusCursorExists       Status = 0x0040
	StatusLastRowSent        Status = 0x0080
	StatusDBDropped          Status = 0x0100
	StatusNoBackslashEscapes Status = 0x0200
	StatusMetadataChanged    Status = 0x0400
	StatusQueryWasSlow       Status = 0x0800
	StatusPSOutParams        Status = 0x1000
	StatusInTransReadonly    Status = 0x2000
	StatusSessionChanged     Status = 0x4000
)

// sessionStatus are the flags that describe the session rather than one result.
const sessionStatus = StatusInTrans | StatusAutocommit | StatusNoBackslashEscapes | StatusInTransReadonly

var statusNames = [16]string{
	"IN_TRANS", "AUTOCOMMIT", "", "MORE_RESULTS_EXISTS", "NO_GOOD_INDEX_USED", "NO_INDEX_USED", "CURSOR_EXISTS",
	"LAST_ROW_SENT", "DB_DROPPED", "NO_BACKSLASH_ESCAPES", "METADATA_CHANGED", "QUERY_WAS_SLOW", "PS_OUT_PARAMS",
	"IN_TRANS_READONLY", "SESSION_STATE_CHANGED", "",
}

// Has reports whether all of want are set in s.
func (s Status) Has(want Status) bool { return s&want == want }

// Session returns the flags of s that outlive one result (transaction,
// autocommit, escape rules). Sluice repeats them in the results it writes.
func (s Status) Session() Status { return s & sessionStatus }

// String lists the set flags, lowest bit first, joined by "|"; the empty set is "0".
func (s Status) String() string { return flagNames(uint32(s), statusNames[:]) }

func flagNames(set uint32, names []string) string {
	if set == 0 {
		return "0"
	}
	var out strings.Builder
	for set != 0 {
		bit := bits.TrailingZeros32(set)
		set &^= 1 << bit
		if out.Len() > 0 {
			out.WriteByte('|')
		}
		if bit < len(names) && names[bit] != "" {
			out.WriteString(names[bit])
		} else {
			fmt.Fprintf(&out, "BIT_%d", bit)
		}
	}
	return out.String()
}
