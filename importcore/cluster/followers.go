package cluster

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/util/cdcutil"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// Followers are those who copy what is written into the cluster, and who never
// see what is ingested: SSTs pass by the logs that they read.
type Followers struct {
	// LogBackups are the names of the tasks of br's log backup (PITR), paused ones included.
	LogBackups []string
	// Changefeeds is TiDB's text that names TiCDC's changefeeds, "" if there are
	// none that are not finished.
	Changefeeds string
}

const (
	// logBackupPrefix is where br keeps its tasks in PD's etcd: the name follows.
	logBackupPrefix = "/tidb/br-stream/info/"
	etcdTimeout     = 5 * time.Second
)

// Followers reads the tasks of log backup and TiCDC where they are kept: in PD's etcd.
func (c *Cluster) Followers(ctx context.Context) (f Followers, err error) {
	const doing = "look for tasks of log backup and TiCDC in PD"
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: c.pdAt, Context: ctx, DialTimeout: etcdTimeout, Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithNoProxy()},
	})
	if err != nil {
		return f, failed(err, doing)
	}
	defer io.Closer(client).Close()
	tasks, err := client.Get(ctx, logBackupPrefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return f, failed(err, doing)
	}
	for _, kv := range tasks.Kvs {
		f.LogBackups = append(f.LogBackups, strings.TrimPrefix(string(kv.Key), logBackupPrefix))
	}
	feeds, err := cdcutil.GetRunningChangefeeds(ctx, client)
	if err != nil {
		return f, failed(err, doing)
	}
	if !feeds.Empty() {
		f.Changefeeds = feeds.MessageToUser()
	}
	return f, nil
}
