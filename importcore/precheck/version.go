package precheck

// Version judges what is too old in the cluster, nil if nothing is.
func Version(unsupported error) Finding {
	if unsupported != nil {
		return FailWith(unsupported)
	}
	return Pass("TiDB and all stores are of a version that imports are tried on")
}
