// Judges a log of Keyline's with the packages that Go verifies its own module log with: every decision is theirs.
//
//	go run verify.go VERIFIER-KEY < questions > verdicts
//
// A question is a line of JSON (case.rs says which there are); a verdict is the line "accepted", or "refused: " and why. A leaf
// gets no verdict: it goes into the tree with which later checkpoints are compared.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type question struct {
	Kind    string      `json:"kind"`
	Note    []byte      `json:"note"`
	OldNote []byte      `json:"old_note"`
	Leaf    []byte      `json:"leaf"`
	Index   int64       `json:"index"`
	Path    []tlog.Hash `json:"path"`
}

// tree holds the hashes of a log as tlog stores them.
type tree struct {
	size   int64
	stored []tlog.Hash
}

func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(t.stored)) {
			return nil, errors.New("the tree is smaller")
		}
		hashes[i] = t.stored[index]
	}
	return hashes, nil
}

func (t *tree) add(leaf []byte) error {
	hashes, err := tlog.StoredHashes(t.size, leaf, t)
	t.stored = append(t.stored, hashes...)
	t.size++
	return err
}

// open verifies a note and reads the checkpoint in it. ParseTree knows only Go's own origin: the log's, which must be the name of
// its key, is replaced by it.
func open(message []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(message, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	rest := strings.TrimPrefix(opened.Text, verifier.Name()+"\n")
	return tlog.ParseTree([]byte("go.sum database tree\n" + rest))
}

func judge(q question, verifier note.Verifier, own *tree) error {
	head, err := open(q.Note, verifier)
	if err != nil {
		return err
	}
	switch q.Kind {
	case "checkpoint":
		root, err := tlog.TreeHash(head.N, own)
		if err == nil && root != head.Hash {
			err = errors.New("the leaves have another root")
		}
		return err
	case "inclusion":
		return tlog.CheckRecord(q.Path, head.N, head.Hash, q.Index, tlog.RecordHash(q.Leaf))
	case "consistency":
		old, err := open(q.OldNote, verifier)
		if err != nil {
			return err
		}
		return tlog.CheckTree(q.Path, head.N, head.Hash, old.N, old.Hash)
	}
	return fail(fmt.Errorf("no such question: %q", q.Kind))
}

// fail ends the program: what is wrong is the question, not the log.
func fail(err error) error {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
	return err
}

func main() {
	verifier, err := note.NewVerifier(os.Args[1])
	if err != nil {
		fail(err)
	}
	own := &tree{}
	questions := json.NewDecoder(bufio.NewReader(os.Stdin))
	verdicts := bufio.NewWriter(os.Stdout)
	defer verdicts.Flush()
	for questions.More() {
		var q question
		if err := questions.Decode(&q); err != nil {
			fail(err)
		}
		if q.Kind == "leaf" {
			if err := own.add(q.Leaf); err != nil {
				fail(err)
			}
		} else if err := judge(q, verifier, own); err != nil {
			fmt.Fprintf(verdicts, "refused: %q\n", err)
		} else {
			fmt.Fprintln(verdicts, "accepted")
		}
	}
}
