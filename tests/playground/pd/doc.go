// Package pd is the placement driver of the playground cluster: PD's network
// protocols over an embedded etcd, honest enough for a separate tidb-server,
// tidb-lightning and br to work with it.
//
// One TCP port carries everything, as with the real PD: etcd's own API (TiDB's
// owner election, schema versions, BR's task registry), the gRPC services
// pdpb.PD, meta_storagepb.MetaStorage, resource_manager.ResourceManager and
// keyspacepb.Keyspace, and the HTTP API below /pd/.
//
// What PD knows of the cluster comes from two places. Stores, regions and
// leaders belong to the TiKV half and are read and steered through a
// topology.View; nothing of them is kept here. All that a client may change is
// kept here, each kind in its own file and type:
//
//	kind                         kept in                 file
//	timestamps, ids              etcd, saved ahead       tso.go, idalloc.go
//	GC and service safe points   etcd                    safepoint.go
//	region label rules           etcd                    labels.go
//	placement rules and groups   etcd                    rules.go
//	config                       etcd                    config.go
//	config overrides with a TTL  etcd lease and memory   config_ttl.go
//	paused schedulers            memory                  schedulers.go
//	operators of scatter         memory                  scatter.go
//	resource groups              etcd                    resourcegroup.go
//	stores' labels, extra stores etcd                    storeregistry.go
//	global config, meta storage  etcd                    globalconfig.go, metastorage.go
//
// "Memory" is not a short cut: PD's leader holds the same things in memory, so
// they go when the leader goes (SetLeaderAway) and when the process restarts.
//
// A gRPC or HTTP request that arrives before the server is ready or while the
// leader is away is refused as a PD without a leader refuses it. The server has
// no background work of its own: timestamps advance when asked for, expiries
// are judged by the clock when something is read.
package pd
