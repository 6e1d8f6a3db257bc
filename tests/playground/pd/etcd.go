package pd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
)

const (
	memberName = "pd-0"
	// maxRequestBytes bounds a gRPC message to the server; etcd derives its
	// receive limit from it. A scan answer for the whole cluster goes the other
	// way, where etcd has no limit.
	maxRequestBytes = 256 << 20
	// The member is alone, so an election can't be lost to a slow machine; short
	// ticks only make it win the first one quickly.
	tickMs     = 20
	electionMs = 200
	// listenAttempts bounds the tries to get a free port between picking and
	// using it.
	listenAttempts = 20
)

// etcdHooks are what the PD side hangs onto the port of etcd.
type etcdHooks struct {
	register func(*grpc.Server)
	handler  http.Handler // for all paths below /pd/
}

// startEtcd starts a single-member etcd on a client port of the system's
// choice and returns it, and the address it listens on, when it serves. It tells
// its clients another address, that of its door.
func startEtcd(ctx context.Context, dir, advertised string, lg *zap.Logger, hooks etcdHooks) (*embed.Etcd, string, error) {
	var lastErr error
	for range listenAttempts {
		addr, err := freeAddr(ctx)
		if err != nil {
			return nil, "", err
		}
		e, err := embed.StartEtcd(etcdConfig(dir, addr, advertised, lg, hooks))
		if err != nil {
			if isAddrInUse(err) {
				lastErr = err
				continue
			}
			return nil, "", fmt.Errorf("start etcd in %s: %w", dir, err)
		}
		select {
		case <-e.Server.ReadyNotify():
			return e, addr, nil
		case <-ctx.Done():
			e.Close()
			return nil, "", fmt.Errorf("wait for etcd: %w", context.Cause(ctx))
		}
	}
	return nil, "", fmt.Errorf("no free port after %d tries: %w", listenAttempts, lastErr)
}

func etcdConfig(dir, addr, advertised string, lg *zap.Logger, hooks etcdHooks) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name = memberName
	cfg.Dir = dir
	client := url.URL{Scheme: "http", Host: addr}
	// Nobody dials the peer port of a single member, so its real number need
	// not be known.
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	cfg.ListenClientUrls = []url.URL{client}
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: advertised}}
	cfg.ListenPeerUrls = []url.URL{peer}
	cfg.AdvertisePeerUrls = []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.TickMs, cfg.ElectionMs = tickMs, electionMs
	cfg.MaxRequestBytes = maxRequestBytes
	// The data has to survive a restart of the process, not of the machine.
	cfg.UnsafeNoFsync = true
	cfg.EnableGRPCGateway = false
	cfg.StrictReconfigCheck = false
	cfg.AutoCompactionMode = embed.CompactorModePeriodic
	cfg.AutoCompactionRetention = "1h"
	cfg.ServiceRegister = hooks.register
	cfg.UserHandlers = map[string]http.Handler{"/pd/": hooks.handler}
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(etcdLogger(lg))
	return cfg
}

// etcdLogger keeps etcd's warnings and drops its chatter.
func etcdLogger(lg *zap.Logger) *zap.Logger {
	if !lg.Core().Enabled(zapcore.WarnLevel) {
		return lg
	}
	return lg.Named("etcd").WithOptions(zap.IncreaseLevel(zapcore.WarnLevel))
}

func freeAddr(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("pick a port: %w", err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return "", fmt.Errorf("pick a port: %w", err)
	}
	return addr, nil
}

func isAddrInUse(err error) bool {
	// etcd flattens some of its listen errors to text.
	return errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), "address already in use")
}
