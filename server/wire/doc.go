// Package wire is the MySQL client/server protocol as far as a proxy needs it:
// packet framing, the two packets of the handshake that carry capabilities, the
// results that Sluice writes itself, a reader for small text results, and the
// Follower, which watches a response pass and knows when it is over.
//
// # Packets
//
// Everything on the wire is a packet: 3 bytes payload length (little endian), 1
// byte sequence number, payload. A payload of 16 MiB - 1 bytes or more is split:
// every piece but the last has length 0xffffff, the last is shorter and may be
// empty. In this package a "packet" is the logical one unless "physical" is said.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
//
// # Rules
//
// Nothing here does I/O of its own beyond the io.Reader or io.Writer it is given,
// and nothing trusts a length from the wire: every decoder checks before it
// slices, returns an error that wraps ErrMalformed and has a fuzz test. Decoders
// return slices of their input; the caller copies what it keeps.
package wire
