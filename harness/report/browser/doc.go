// Package browser holds the test that opens the report's page in a real browser. It is a module of its own, so that
// a run of the scenarios downloads no browser driver. It needs Debian's chromium (apt-get install chromium) and nothing
// else.
//
//	cd harness/report/browser && go test ./...
//
// GHOSTROUTE_PAGE is the path of a page to open instead of one made of the expected verdicts, GHOSTROUTE_SHOTS a folder
// to leave screenshots in.
package browser
