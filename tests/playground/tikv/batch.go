package tikv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/pingcap/kvproto/pkg/tikvpb"
	"go.uber.org/zap"
)

const batchMethod = tikvService + "BatchCommands"

// maxBatchAnswers bounds the answers that wait for the stream; requests beyond
// it wait with their answer in hand.
const maxBatchAnswers = 1024

type batchAnswer struct {
	id   uint64
	resp *tikvpb.BatchCommandsResponse_Response
}

// BatchCommands implements tikvpb.TikvServer. Requests of one stream run
// concurrently and answer in any order, several answers in one message where
// they are ready together, as TiKV does.
func (s *store) BatchCommands(stream tikvpb.Tikv_BatchCommandsServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	answers := make(chan batchAnswer, maxBatchAnswers)
	sent := make(chan error, 1)
	go func() { // ends when answers is closed or the stream breaks
		err := sendAnswers(stream, answers)
		cancel()
		for range answers { // nobody waits for these any more
		}
		sent <- err
	}()
	var wg sync.WaitGroup
	recvErr := s.receiveBatches(ctx, stream, &wg, answers)
	wg.Wait()
	close(answers)
	return errors.Join(recvErr, <-sent)
}

func (s *store) receiveBatches(ctx context.Context, stream tikvpb.Tikv_BatchCommandsServer, wg *sync.WaitGroup, answers chan<- batchAnswer) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(req.Requests) != len(req.RequestIds) {
			return fmt.Errorf("tikv: %d batched requests with %d ids", len(req.Requests), len(req.RequestIds))
		}
		for i, r := range req.Requests {
			wg.Add(1)
			go func(id uint64) {
				defer wg.Done()
				resp, err := s.dispatch(ctx, r)
				if err != nil {
					// The client takes an answer without a command for a failure.
					s.cluster.opts.Logger.Warn("tikv: batched request failed", zap.Error(err))
					resp = &tikvpb.BatchCommandsResponse_Response{}
				}
				answers <- batchAnswer{id, resp}
			}(req.RequestIds[i])
		}
	}
}

func sendAnswers(stream tikvpb.Tikv_BatchCommandsServer, answers <-chan batchAnswer) error {
	for a := range answers {
		msg := &tikvpb.BatchCommandsResponse{}
		for more := true; more; {
			msg.Responses = append(msg.Responses, a.resp)
			msg.RequestIds = append(msg.RequestIds, a.id)
			select {
			case a, more = <-answers:
			default:
				more = false
			}
		}
		if err := stream.Send(msg); err != nil {
			return err
		}
	}
	return nil
}

// dispatch runs one request of a batch by the handler of the single RPC.
func (s *store) dispatch(ctx context.Context, req *tikvpb.BatchCommandsRequest_Request) (*tikvpb.BatchCommandsResponse_Response, error) {
	o := &tikvpb.BatchCommandsResponse_Response{}
	var err error
	switch c := req.GetCmd().(type) {
	case *tikvpb.BatchCommandsRequest_Request_Get:
		a := &tikvpb.BatchCommandsResponse_Response_Get{}
		a.Get, err = batched(ctx, s, "KvGet", c.Get, s.KvGet)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_Scan:
		a := &tikvpb.BatchCommandsResponse_Response_Scan{}
		a.Scan, err = batched(ctx, s, "KvScan", c.Scan, s.KvScan)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_Prewrite:
		a := &tikvpb.BatchCommandsResponse_Response_Prewrite{}
		a.Prewrite, err = batched(ctx, s, "KvPrewrite", c.Prewrite, s.KvPrewrite)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_Commit:
		a := &tikvpb.BatchCommandsResponse_Response_Commit{}
		a.Commit, err = batched(ctx, s, "KvCommit", c.Commit, s.KvCommit)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_Cleanup:
		a := &tikvpb.BatchCommandsResponse_Response_Cleanup{}
		a.Cleanup, err = batched(ctx, s, "KvCleanup", c.Cleanup, s.KvCleanup)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_BatchGet:
		a := &tikvpb.BatchCommandsResponse_Response_BatchGet{}
		a.BatchGet, err = batched(ctx, s, "KvBatchGet", c.BatchGet, s.KvBatchGet)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_BatchRollback:
		a := &tikvpb.BatchCommandsResponse_Response_BatchRollback{}
		a.BatchRollback, err = batched(ctx, s, "KvBatchRollback", c.BatchRollback, s.KvBatchRollback)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_ScanLock:
		a := &tikvpb.BatchCommandsResponse_Response_ScanLock{}
		a.ScanLock, err = batched(ctx, s, "KvScanLock", c.ScanLock, s.KvScanLock)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_ResolveLock:
		a := &tikvpb.BatchCommandsResponse_Response_ResolveLock{}
		a.ResolveLock, err = batched(ctx, s, "KvResolveLock", c.ResolveLock, s.KvResolveLock)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_GC:
		a := &tikvpb.BatchCommandsResponse_Response_GC{}
		a.GC, err = batched(ctx, s, "KvGC", c.GC, s.KvGC)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_DeleteRange:
		a := &tikvpb.BatchCommandsResponse_Response_DeleteRange{}
		a.DeleteRange, err = batched(ctx, s, "KvDeleteRange", c.DeleteRange, s.KvDeleteRange)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_Coprocessor:
		a := &tikvpb.BatchCommandsResponse_Response_Coprocessor{}
		a.Coprocessor, err = batched(ctx, s, "Coprocessor", c.Coprocessor, s.Coprocessor)
		o.Cmd = a
	default:
		return s.dispatchTxn(ctx, req)
	}
	return o, err
}

// dispatchTxn is the second half of dispatch: pessimistic and pipelined
// transactions, and what is sent to a store rather than to a region.
func (s *store) dispatchTxn(ctx context.Context, req *tikvpb.BatchCommandsRequest_Request) (*tikvpb.BatchCommandsResponse_Response, error) {
	o := &tikvpb.BatchCommandsResponse_Response{}
	var err error
	switch c := req.GetCmd().(type) {
	case *tikvpb.BatchCommandsRequest_Request_PessimisticLock:
		a := &tikvpb.BatchCommandsResponse_Response_PessimisticLock{}
		a.PessimisticLock, err = batched(ctx, s, "KvPessimisticLock", c.PessimisticLock, s.KvPessimisticLock)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_PessimisticRollback:
		a := &tikvpb.BatchCommandsResponse_Response_PessimisticRollback{}
		a.PessimisticRollback, err = batched(ctx, s, "KVPessimisticRollback", c.PessimisticRollback, s.KVPessimisticRollback)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_CheckTxnStatus:
		a := &tikvpb.BatchCommandsResponse_Response_CheckTxnStatus{}
		a.CheckTxnStatus, err = batched(ctx, s, "KvCheckTxnStatus", c.CheckTxnStatus, s.KvCheckTxnStatus)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_TxnHeartBeat:
		a := &tikvpb.BatchCommandsResponse_Response_TxnHeartBeat{}
		a.TxnHeartBeat, err = batched(ctx, s, "KvTxnHeartBeat", c.TxnHeartBeat, s.KvTxnHeartBeat)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_CheckSecondaryLocks:
		a := &tikvpb.BatchCommandsResponse_Response_CheckSecondaryLocks{}
		a.CheckSecondaryLocks, err = batched(ctx, s, "KvCheckSecondaryLocks", c.CheckSecondaryLocks, s.KvCheckSecondaryLocks)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_Flush:
		a := &tikvpb.BatchCommandsResponse_Response_Flush{}
		a.Flush, err = batched(ctx, s, "KvFlush", c.Flush, s.KvFlush)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_BufferBatchGet:
		a := &tikvpb.BatchCommandsResponse_Response_BufferBatchGet{}
		a.BufferBatchGet, err = batched(ctx, s, "KvBufferBatchGet", c.BufferBatchGet, s.KvBufferBatchGet)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_GetHealthFeedback:
		a := &tikvpb.BatchCommandsResponse_Response_GetHealthFeedback{}
		a.GetHealthFeedback, err = batched(ctx, s, "GetHealthFeedback", c.GetHealthFeedback, s.GetHealthFeedback)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_BroadcastTxnStatus:
		a := &tikvpb.BatchCommandsResponse_Response_BroadcastTxnStatus{}
		a.BroadcastTxnStatus, err = batched(ctx, s, "BroadcastTxnStatus", c.BroadcastTxnStatus, s.BroadcastTxnStatus)
		o.Cmd = a
	case *tikvpb.BatchCommandsRequest_Request_Empty:
		o.Cmd = &tikvpb.BatchCommandsResponse_Response_Empty{
			Empty: &tikvpb.BatchCommandsEmptyResponse{TestId: c.Empty.GetTestId()},
		}
	default:
		return nil, fmt.Errorf("tikv: batched %T is not served", c)
	}
	return o, err
}
