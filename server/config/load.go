package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/BurntSushi/toml"
)

// Invocation is a parsed command line.
type Invocation struct {
	// Config is valid when CheckOnly or nothing else is set.
	Config Config
	// CheckOnly, Version and Help ask for something else than to run.
	CheckOnly, Version, Help bool
	// PrintReady asks for one JSON line on standard output once listening.
	PrintReady bool
}

// Load reads the command line args (without the program's name) and the file it
// names. Usage is written to out when it is asked for or flags are wrong. All
// findings come back in one error, a line each.
func Load(args []string, out io.Writer) (Invocation, error) {
	inv := Invocation{Config: Default()}
	var path string
	var overrides []func(*Config) error
	flags := newFlags(&inv, &path, &overrides, out)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		inv.Help = true
		return inv, nil
	case err != nil:
		return inv, err
	case flags.NArg() > 0:
		return inv, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case inv.Version:
		return inv, nil
	}
	findings := &findings{}
	if path != "" {
		findings.add(inv.Config.readFile(path))
	}
	for _, override := range overrides {
		findings.add(override(&inv.Config))
	}
	inv.Config.readSecrets(findings)
	inv.Config.validate(findings)
	return inv, findings.err()
}

// newFlags declares the flags. Values for the configuration are collected as
// overrides, because the file, which they win over, is read after parsing. There
// is no flag for the password: command lines are public.
func newFlags(inv *Invocation, path *string, overrides *[]func(*Config) error, out io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet("sluice", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(path, "config", "", "configuration `file` (TOML)")
	flags.BoolVar(&inv.CheckOnly, "check-config", false, "check the configuration, print it and exit")
	flags.BoolVar(&inv.Version, "version", false, "print the version and exit")
	flags.BoolVar(&inv.PrintReady, "print-ready", false, "print one JSON line with the addresses once listening")
	override := func(name, usage string, set func(*Config, string) error) {
		flags.Func(name, usage, func(value string) error {
			*overrides = append(*overrides, func(c *Config) error {
				if err := set(c, value); err != nil {
					return fmt.Errorf("--%s: %w", name, err)
				}
				return nil
			})
			return nil
		})
	}
	text := func(name, usage string, field func(*Config) *string) {
		override(name, usage, func(c *Config, v string) error { *field(c) = v; return nil })
	}
	text("addr", "`host:port` for MySQL clients", func(c *Config) *string { return &c.Addr })
	text("status-addr", "`host:port` for HTTP, empty for none", func(c *Config) *string { return &c.StatusAddr })
	text("sort-dir", "`directory` for sorting", func(c *Config) *string { return &c.Import.SortDir })
	text("log-file", "log to this `file`", func(c *Config) *string { return &c.Log.File })
	text("log-level", "log `level`: debug, info, warn, error", func(c *Config) *string { return &c.Log.Level })
	override("backend", "comma-separated `addresses` of TiDB servers", func(c *Config, v string) error {
		c.Backend.Addresses = strings.Split(v, ",")
		return nil
	})
	override("memory-budget", "memory `size` of the process, such as 512MiB", func(c *Config, v string) error {
		return c.Import.MemoryBudget.UnmarshalText([]byte(v))
	})
	return flags
}

func (c *Config) readFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := c.decode(text); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// decode reads TOML over c. Keys that nobody knows are reported together.
func (c *Config) decode(text []byte) error {
	meta, err := toml.Decode(string(text), c)
	if err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			// Not the error's own text: it may quote the line with the password.
			return fmt.Errorf("line %d: not valid TOML", parse.Position.Line)
		}
		return err
	}
	unknown := &findings{}
	for _, key := range meta.Undecoded() {
		unknown.add(fmt.Errorf("unknown key %s", key))
	}
	return unknown.err()
}

func (c *Config) readSecrets(f *findings) {
	account, s3 := &c.ServiceAccount, &c.Storage.S3
	readSecret(f, "service-account.password", &account.Password, account.PasswordFile)
	readSecret(f, "storage.s3.secret-access-key", &s3.SecretAccessKey, s3.SecretAccessKeyFile)
}

// readSecret reads a secret from its file, if it has one.
func readSecret(f *findings, name string, secret *Secret, file string) {
	if file == "" {
		return
	}
	if *secret != "" {
		f.addf("%s and %s-file exclude each other", name, name)
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		f.addf("%s-file: %w", name, err)
		return
	}
	*secret = Secret(strings.TrimRight(string(text), "\r\n"))
}

// String is the configuration as TOML, with the password hidden.
func (c Config) String() string {
	var out bytes.Buffer
	if err := toml.NewEncoder(&out).Encode(c); err != nil {
		return "configuration can't be shown: " + err.Error()
	}
	return out.String()
}
