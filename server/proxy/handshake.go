package proxy

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/server/wire"
)

// handshake relays the backend's greeting and the client's response to it. What
// follows (authentication switches, more data, the verdict) is forwarded by the
// pumps, which treat it as a command that is under way.
func (s *session) handshake(ctx context.Context) error {
	deadline := time.Now().Add(s.server.options.HandshakeTimeout)
	backend, err := s.server.options.Dialer.Dial(ctx)
	if err != nil {
		s.refuse(&mysql.MyError{Code: codeConnHost, Message: "Sluice can't reach any TiDB server: " + err.Error()})
		return because(errHandshake, err)
	}
	if err := s.setBackend(backend); err != nil {
		return because(errHandshake, err)
	}
	for _, conn := range []net.Conn{s.client, backend} {
		if err := conn.SetDeadline(deadline); err != nil {
			return because(errHandshake, err)
		}
	}
	if err := s.relayGreeting(); err != nil {
		return err
	}
	if err := s.relayResponse(); err != nil {
		return err
	}
	// The pumps have no deadline of their own: how long an authentication may
	// take (LDAP, for one) and a connection may idle is the backend's decision.
	for _, conn := range []net.Conn{s.client, backend} {
		if err := conn.SetDeadline(time.Time{}); err != nil {
			return because(errHandshake, err)
		}
	}
	return nil
}

func (s *session) relayGreeting() error {
	payload, seq, err := wire.ReadPacket(s.backend, wire.MaxHandshakePacket)
	if err != nil {
		s.refuse(&mysql.MyError{Code: codeConnHost, Message: "Sluice got no greeting from TiDB"})
		return because(errHandshake, because(errBackendGone, err))
	}
	if len(payload) > 0 && payload[0] == wire.ErrHeader {
		// Too many connections, host blocked: the client shall read it as it is.
		frame, _ := wire.AppendPacket(nil, payload, seq)
		if _, err := s.client.Write(frame); err != nil {
			return because(errClientGone, err)
		}
		refusal, err := wire.ParseErr(payload, 0)
		if err != nil {
			return because(errHandshake, err)
		}
		return because(errHandshake, refusal)
	}
	greeting, err := wire.ParseGreeting(payload)
	if err != nil {
		s.refuse(&mysql.MyError{Code: codeHandshake, Message: "Sluice does not understand the backend's greeting"})
		return because(errHandshake, err)
	}
	greeting.RemoveCapabilities(payload, wire.Unsupported)
	s.connectionID = uint64(greeting.ConnectionID)
	s.caps = greeting.Capabilities
	frame, _ := wire.AppendPacket(nil, payload, seq)
	if _, err := s.client.Write(frame); err != nil {
		return because(errClientGone, err)
	}
	return nil
}

func (s *session) relayResponse() error {
	payload, seq, err := wire.ReadPacket(s.client, wire.MaxHandshakePacket)
	if err != nil {
		return because(errClientGone, err)
	}
	response, err := wire.ParseHandshakeResponse(payload)
	if err == nil && response.SSLRequest {
		err = errTLSRequest
	}
	if err != nil {
		frame, _ := wire.AppendPacket(nil, wire.AppendErr(nil, 0,
			&mysql.MyError{Code: codeHandshake, Message: "Bad handshake: " + err.Error()}), seq+1)
		_, writeErr := s.client.Write(frame)
		if writeErr != nil {
			err = fmt.Errorf("%w (and the client could not be told: %w)", err, writeErr)
		}
		return because(errHandshake, err)
	}
	response.RemoveCapabilities(payload, wire.Unsupported)
	s.caps &= response.Capabilities
	s.user.Store(&response.User)
	s.logger().Debug("handshake relayed", zap.String("database", response.Database), zap.Stringer("capabilities", s.caps))

	s.mu.follower.SetCapabilities(s.caps)
	s.mu.follower.BeginAuth()
	frame, _ := wire.AppendPacket(nil, payload, seq)
	if _, err := s.backend.Write(frame); err != nil {
		return because(errBackendGone, err)
	}
	return nil
}

// refuse sends an ERR packet in the place of a greeting. A client that is gone
// already is no news then.
func (s *session) refuse(e *mysql.MyError) {
	frame, _ := wire.AppendPacket(nil, wire.AppendErr(nil, 0, e), 0)
	if err := s.client.SetWriteDeadline(time.Now().Add(s.server.options.HandshakeTimeout)); err != nil {
		return
	}
	if _, err := s.client.Write(frame); err != nil {
		s.log.Debug("client could not be told why it was refused", zap.Error(err))
	}
}
