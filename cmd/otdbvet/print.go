package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// print prints the reports in the form that was asked for.
func (c *command) print(r *reports, stdout, stderr io.Writer) int {
	code := problems(r, stderr)
	switch {
	case c.sarif:
		if err := printSARIF(stdout, r); err != nil {
			fmt.Fprintln(stderr, "otdbvet:", err)
			return exitFound
		}
	case c.json:
		if err := r.graph.PrintJSON(stdout); err != nil {
			fmt.Fprintln(stderr, "otdbvet:", err)
			return exitFound
		}
	default:
		for _, report := range r.all {
			printText(stderr, report)
			code = exitFound
		}
	}
	return code
}

// problems prints why packages were not looked at.
func problems(r *reports, stderr io.Writer) (code int) {
	for _, p := range r.problems {
		fmt.Fprintln(stderr, p)
		code = exitFound
	}
	return code
}

// printText prints a report as go vet does.
func printText(w io.Writer, r report) {
	fmt.Fprintf(w, "%s:%d:%d: %s\n", relative(r.from.Filename), r.from.Line, r.from.Column, r.message)
}

// The parts of SARIF 2.1.0 that are used.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string    `json:"id"`
		ShortDescription sarifText `json:"shortDescription"`
		FullDescription  sarifText `json:"fullDescription"`
		HelpURI          string    `json:"helpUri"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
		Fixes     []sarifFix      `json:"fixes,omitempty"`
	}
	sarifLocation struct {
		PhysicalLocation sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		ArtifactLocation sarifArtifact `json:"artifactLocation"`
		Region           sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI       string `json:"uri"`
		URIBaseID string `json:"uriBaseId,omitempty"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndLine     int `json:"endLine"`
		EndColumn   int `json:"endColumn"`
	}
	sarifFix struct {
		Description     sarifText     `json:"description"`
		ArtifactChanges []sarifChange `json:"artifactChanges"`
	}
	sarifChange struct {
		ArtifactLocation sarifArtifact      `json:"artifactLocation"`
		Replacements     []sarifReplacement `json:"replacements"`
	}
	sarifReplacement struct {
		DeletedRegion   sarifRegion `json:"deletedRegion"`
		InsertedContent sarifText   `json:"insertedContent"`
	}
)

// printSARIF prints the reports for code review. Names of files are relative to
// the root of the repository.
func printSARIF(w io.Writer, r *reports) error {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "otdbvet", Version: moduleVersion(), InformationURI: analyzers[0].URL}
	for _, a := range analyzers {
		title, text, _ := strings.Cut(a.Doc, "\n")
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{a.Name, sarifText{title}, sarifText{strings.TrimSpace(text)}, a.URL})
	}
	root := repository()
	for _, report := range r.all {
		text := contents(report.from.Filename)
		result := sarifResult{
			RuleID: report.analyzer.Name, Level: "warning", Message: sarifText{report.message},
			Locations: []sarifLocation{{sarifPhysical{artifact(root, report.from.Filename), sarifRegion{
				report.from.Line, column(text, report.from.Offset, report.from.Column), report.to.Line, column(text, report.to.Offset, report.to.Column),
			}}}},
		}
		if report.fix != nil {
			f := sarifFix{Description: sarifText{report.fix.message}}
			for _, e := range report.fix.edits {
				at := artifact(root, e.file)
				n := len(f.ArtifactChanges)
				if n == 0 || f.ArtifactChanges[n-1].ArtifactLocation != at {
					f.ArtifactChanges = append(f.ArtifactChanges, sarifChange{ArtifactLocation: at})
					n++
				}
				content := contents(e.file)
				f.ArtifactChanges[n-1].Replacements = append(f.ArtifactChanges[n-1].Replacements,
					sarifReplacement{region(content, e.from, e.to), sarifText{e.text}})
			}
			result.Fixes = []sarifFix{f}
		}
		run.Results = append(run.Results, result)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// column returns the column of an offset in characters, where go/token counts bytes.
func column(text string, offset, bytes int) int {
	if begin := offset - bytes + 1; begin >= 0 && offset <= len(text) {
		return utf8.RuneCountInString(text[begin:offset]) + 1
	}
	return bytes // the file is not the one that was compiled, such as one of //line
}

// region returns the lines and columns between two offsets.
func region(text string, from, to int) sarifRegion {
	at := func(offset int) (line, col int) {
		offset = min(offset, len(text))
		begin := strings.LastIndexByte(text[:offset], '\n') + 1
		return strings.Count(text[:offset], "\n") + 1, utf8.RuneCountInString(text[begin:offset]) + 1
	}
	var r sarifRegion
	r.StartLine, r.StartColumn = at(from)
	r.EndLine, r.EndColumn = at(to)
	return r
}

// repository returns the root of the repository around the working directory,
// or that directory if it is in none.
func repository() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for up := dir; ; up = filepath.Dir(up) {
		if _, err := os.Stat(filepath.Join(up, ".git")); err == nil {
			return up
		}
		if up == filepath.Dir(up) {
			return dir
		}
	}
}

// artifact returns the location of a file.
func artifact(root, name string) sarifArtifact {
	rel, err := filepath.Rel(root, name)
	if err != nil || strings.HasPrefix(rel, "..") {
		return sarifArtifact{URI: "file://" + filepath.ToSlash(name)}
	}
	return sarifArtifact{URI: filepath.ToSlash(rel), URIBaseID: "%SRCROOT%"}
}
