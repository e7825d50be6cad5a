package proxy

import patched "ghostroute/harness/grpcproxy"

// Cured is stock with these cures in its watch and lease server.
func Cured(name, source, claim string, c patched.Cures) Variant {
	return Variant{Name: name, Source: source, Claim: claim, Cures: c}
}
