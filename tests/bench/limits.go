package main

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// limits are what this machine can do at most, in bytes for each second of CPU
// time (user and system) of one core.
type limits struct {
	copyRate, crcRate, readRate, writeRate, sendRate float64
}

func at(rate float64, bytes int64) time.Duration {
	return time.Duration(float64(bytes) / rate * float64(time.Second))
}

func (l limits) copy(n int64) time.Duration  { return at(l.copyRate, n) }
func (l limits) crc(n int64) time.Duration   { return at(l.crcRate, n) }
func (l limits) read(n int64) time.Duration  { return at(l.readRate, n) }
func (l limits) write(n int64) time.Duration { return at(l.writeRate, n) }
func (l limits) send(n int64) time.Duration  { return at(l.sendRate, n) }

const (
	limitBuffer = 1 << 20   // bytes that are moved at a time, as blocks and messages are
	limitBytes  = 256 << 20 // bytes that each limit is measured with
)

// measureLimits measures them in this process, with files in dir.
func measureLimits(ctx context.Context, dir string) (l limits, err error) {
	from, to := make([]byte, limitBytes), make([]byte, limitBytes)
	for i := range from {
		from[i], to[i] = byte(i*i>>8), 1 // the memory is there before the clock runs
	}
	chunks := func(use func(at int) error) func() error {
		return func() error {
			for at := 0; at < limitBytes; at += limitBuffer {
				if err := use(at); err != nil {
					return err
				}
			}
			return nil
		}
	}
	table := crc64.MakeTable(crc64.ECMA)
	var sum uint64
	path := filepath.Join(dir, "limit")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(path)) }()
	for _, m := range []struct {
		rate *float64
		work func() error
	}{
		{&l.copyRate, chunks(func(at int) error { copy(to[at:at+limitBuffer], from[at:at+limitBuffer]); return nil })},
		{&l.crcRate, chunks(func(at int) error { sum = crc64.Update(sum, table, from[at:at+limitBuffer]); return nil })},
		{&l.writeRate, chunks(func(at int) error { _, err := f.WriteAt(from[at:at+limitBuffer], int64(at)); return err })},
		{&l.readRate, chunks(func(at int) error { _, err := f.ReadAt(to[:limitBuffer], int64(at)); return err })},
	} {
		if *m.rate, err = rateOf(m.work); err != nil {
			return l, err
		}
	}
	if sum == 0 {
		return l, errors.New("the CRC of the test data can't be 0")
	}
	l.sendRate, err = grpcRate(ctx, from[:limitBuffer])
	return l, err
}

// rateOf returns bytes per second of this process's CPU time, the best of three.
func rateOf(work func() error) (best float64, err error) {
	for range 3 {
		before, err := ownCPU()
		if err != nil {
			return 0, err
		}
		if err := work(); err != nil {
			return 0, err
		}
		after, err := ownCPU()
		if err != nil {
			return 0, err
		}
		best = max(best, limitBytes/max((after-before).Seconds(), 1e-6))
	}
	return best, nil
}

func ownCPU() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

// byteCodec sends and receives bytes as they are.
type byteCodec struct{}

func (byteCodec) Name() string                  { return "proto" }
func (byteCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (byteCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = data
	return nil
}

// grpcRate sends messages over a loopback stream and returns the rate of the
// sender. Both ends are in this process and get half of its time each: what
// the two do to the bytes is the same, a copy between socket and buffer.
func grpcRate(ctx context.Context, message []byte) (float64, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	server := grpc.NewServer(grpc.ForceServerCodec(byteCodec{}), grpc.UnknownServiceHandler(drain), grpc.MaxRecvMsgSize(2*limitBuffer))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() { server.Stop(); <-served }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	rate, err := rateOf(func() error {
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/bench/Drain", grpc.ForceCodec(byteCodec{}))
		if err != nil {
			return err
		}
		for range limitBytes / limitBuffer {
			if err := stream.SendMsg(&message); err != nil {
				return err
			}
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		var answer []byte
		return stream.RecvMsg(&answer)
	})
	if err != nil {
		return 0, fmt.Errorf("gRPC loopback: %w", err)
	}
	return 2 * rate, nil
}

// drain reads a stream to its end and answers with nothing.
func drain(_ any, stream grpc.ServerStream) error {
	for {
		var message []byte
		err := stream.RecvMsg(&message)
		if errors.Is(err, io.EOF) {
			return stream.SendMsg(&[]byte{})
		}
		if err != nil {
			return err
		}
	}
}
