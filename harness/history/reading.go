package history

// The two kinds of gateway that read a registry. Every cell of the matrix is read by both.
const (
	EachRequest = "each-request" // it reads the registry on each request: is the proxy cured?
	GoMicro     = "go-micro"     // it is go-micro's own, with a cache and a watch: are the users cured?
)
