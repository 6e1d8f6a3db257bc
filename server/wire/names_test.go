package wire

import (
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Query", ComQuery.String())
	require.Equal(t, "StmtFetch", Command(mysql.COM_STMT_FETCH).String())
	require.Equal(t, "SubscribeGroupReplicationStream", ComSubscribeGroupReplicationStream.String())
	require.Equal(t, "Command(200)", Command(200).String())
	require.False(t, comEnd.Known())
	for c := range comEnd {
		require.NotEmpty(t, c.String())
	}
	require.Equal(t, "0", Capability(0).String())
	require.Equal(t, "LONG_PASSWORD|PROTOCOL_41|DEPRECATE_EOF", (ClientLongPassword | ClientProtocol41 | ClientDeprecateEOF).String())
	require.Equal(t, "IN_TRANS|BIT_2|MORE_RESULTS_EXISTS", (StatusInTrans | StatusMoreResultsExist | 4).String())
	require.Equal(t, "infile", PhaseInfile.String())
	require.Equal(t, StatusInTrans|StatusAutocommit, (StatusInTrans | StatusAutocommit | StatusMoreResultsExist | StatusCursorExists).Session())
}

// The numbers are the protocol's; a slip in an iota list would show here.
func TestNumbersAgreeWithGoMySQL(t *testing.T) {
	t.Parallel()
	for cmd, want := range map[Command]byte{
		ComQuit: mysql.COM_QUIT, ComChangeUser: mysql.COM_CHANGE_USER, ComStmtPrepare: mysql.COM_STMT_PREPARE,
		ComStmtFetch: mysql.COM_STMT_FETCH, ComBinlogDumpGTID: mysql.COM_BINLOG_DUMP_GTID,
		ComResetConnection: mysql.COM_RESET_CONNECTION, ComSetOption: mysql.COM_SET_OPTION,
	} {
		require.Equal(t, want, byte(cmd), cmd.String())
	}
	for c, want := range map[Capability]uint32{
		ClientCompress: mysql.CLIENT_COMPRESS, ClientSSL: mysql.CLIENT_SSL, ClientPluginAuth: mysql.CLIENT_PLUGIN_AUTH,
		ClientDeprecateEOF: mysql.CLIENT_DEPRECATE_EOF, ClientQueryAttributes: mysql.CLIENT_QUERY_ATTRIBUTES,
		ClientZstdCompression:           mysql.CLIENT_ZSTD_COMPRESSION_ALGORITHM,
		ClientOptionalResultSetMetadata: mysql.CLIENT_OPTIONAL_RESULTSET_METADATA, ClientLocalFiles: mysql.CLIENT_LOCAL_FILES,
		ClientPluginAuthLenencData: mysql.CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA,
	} {
		require.Equal(t, want, uint32(c), c.String())
	}
	for s, want := range map[Status]uint16{
		StatusCursorExists: mysql.SERVER_STATUS_CURSOR_EXISTS, StatusMoreResultsExist: mysql.SERVER_MORE_RESULTS_EXISTS,
		StatusInTrans: mysql.SERVER_STATUS_IN_TRANS, StatusSessionChanged: mysql.SERVER_SESSION_STATE_CHANGED,
	} {
		require.Equal(t, want, uint16(s), s.String())
	}
}
