package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sluicedb/sluice/importcore/fault"
)

var errNoAddress = errors.New("no server has noted one")

// statusAge is for how long the status addresses of the TiDB servers are taken for good. To ask for them makes TiDB look through PD's notes, which takes
// longer than what is then asked there; but a server that is gone may leave its address to one of another cluster.
const statusAge = 5 * time.Second

// statusPorts are the status addresses that were found last.
type statusPorts struct {
	mu    sync.Mutex
	addrs []string
	since time.Time
}

// known returns the addresses, nil if they are too old.
func (s *statusPorts) known() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.since) > statusAge {
		return nil
	}
	return s.addrs
}

// learn takes addresses; nil forgets them.
func (s *statusPorts) learn(addrs []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addrs, s.since = addrs, time.Now()
}

// findStatusPorts asks for the status addresses (host:port) of the TiDB servers.
func (c *Cluster) findStatusPorts(ctx context.Context) ([]string, error) {
	if c.cfg.StatusAddr != "" {
		return []string{c.cfg.StatusAddr}, nil
	}
	addrs, err := c.queryStrings(ctx,
		"SELECT STATUS_ADDRESS FROM information_schema.CLUSTER_INFO WHERE TYPE = 'tidb'")
	if err != nil {
		return nil, failed(err, "find TiDB's status address")
	}
	if len(addrs) == 0 {
		// Servers note theirs in PD, and do so again when PD was away.
		return nil, fault.Wrap(fault.Retryable(errNoAddress), fault.Cluster, 0, "TiDB does not know its status address")
	}
	return addrs, nil
}

// pdAddrs returns the addresses (host:port) of PD: those configured, else what
// the cluster's topology says, else what TiDB itself was started with.
func (c *Cluster) pdAddrs(ctx context.Context) ([]string, error) {
	if len(c.cfg.PD) > 0 {
		return c.cfg.PD, nil
	}
	addrs, err := c.queryStrings(ctx, "SELECT INSTANCE FROM information_schema.CLUSTER_INFO WHERE TYPE = 'pd'")
	if err == nil && len(addrs) > 0 {
		return addrs, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var settings struct {
		Path string `json:"path"`
	}
	if err := c.tidbStatus(ctx, "/settings", &settings); err != nil {
		return nil, failed(err, "find PD's address")
	}
	for _, addr := range strings.Split(settings.Path, ",") {
		if addr = strings.TrimSpace(addr); addr != "" {
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) == 0 {
		return nil, fault.New(fault.Cluster, 0, "TiDB does not know PD's address")
	}
	return addrs, nil
}

// queryStrings returns the first column of a result.
func (c *Cluster) queryStrings(ctx context.Context, sql string, args ...any) ([]string, error) {
	res, err := c.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	out := make([]string, 0, res.RowNumber())
	for i := range res.RowNumber() {
		s, err := res.GetString(i, 0)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// tidbStatus reads a JSON document from the status port of any TiDB server. Servers that are known are asked first.
func (c *Cluster) tidbStatus(ctx context.Context, path string, into any) error {
	known := c.ports.known()
	if len(known) > 0 {
		err := c.askStatus(ctx, known, path, into)
		if answered := (*statusError)(nil); err == nil || errors.As(err, &answered) || ctx.Err() != nil {
			return err
		}
	}
	addrs, err := c.findStatusPorts(ctx)
	if err != nil {
		return err
	}
	c.ports.learn(addrs)
	return c.askStatus(ctx, addrs, path, into)
}

// askStatus asks one server after the other until one answers.
func (c *Cluster) askStatus(ctx context.Context, addrs []string, path string, into any) error {
	var errs []error
	for _, addr := range addrs {
		err := c.getJSON(ctx, addr, path, into)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// statusError is an answer other than 200 of a status port.
type statusError struct {
	URL  string
	Code int
	Text string
}

// Error implements error.
func (e *statusError) Error() string {
	return fmt.Sprintf("GET %s: status %d: %s", e.URL, e.Code, e.Text)
}

const (
	maxStatusText = 512
	maxStatusBody = 256 << 20
)

// getJSON reads a JSON document from a status port; path may have a query.
func (c *Cluster) getJSON(ctx context.Context, addr, path string, into any) error {
	u := url.URL{Scheme: "http", Host: addr}
	text := u.String() + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, text, nil)
	if err != nil {
		return err
	}
	resp, err := c.status.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxStatusText))
		return &statusError{URL: text, Code: resp.StatusCode, Text: strings.TrimSpace(string(body))}
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStatusBody)).Decode(into); err != nil {
		return fmt.Errorf("GET %s: %w", text, err)
	}
	return nil
}
