# The lab's outputs for one system. flake.nix only names them.
{ pkgs }:
let
  inherit (pkgs) lib;
  workspace = (builtins.fromTOML (builtins.readFile ../Cargo.toml)).workspace;

  # The tools whose versions matter, or a sentence that says which is too old.
  atLeast =
    name: least: package:
    if lib.versionAtLeast package.version least then
      package
    else
      throw "Temporal Bug Lab needs ${name} ${least} or newer, and this nixpkgs has ${package.version}. Update the pin to a newer nixpkgs: docs/nix.md, \"Updating the pin\".";
  rustc = atLeast "rustc" workspace.package.rust-version pkgs.rustc;
  temporal-cli =
    atLeast "temporal-cli" workspace.metadata.buglab.least-temporal-cli
      pkgs.temporal-cli;
  rustPlatform = builtins.seq rustc pkgs.rustPlatform;

  tools = [
    rustc
    pkgs.cargo
    pkgs.clippy
    pkgs.rustfmt
    pkgs.procps
    temporal-cli
  ];

  # Some of the project's files and folders, so that a change of the others rebuilds nothing.
  only =
    name: roots:
    builtins.path {
      inherit name;
      path = ../.;
      filter =
        path: _:
        builtins.any (
          root: path == toString ../. + "/${root}" || lib.hasPrefix (toString ../. + "/${root}/") path
        ) roots;
    };
  sources = [
    ".cargo"
    "Cargo.lock"
    "Cargo.toml"
    "clippy.toml"
    "crates"
    # The stages' texts are in the programs.
    "lab"
    "rust-toolchain.toml"
    "rustfmt.toml"
    "xtask"
  ];
  rustSource = only "temporal-bug-lab-source" sources;
  # The tests read the other texts, too, and the settings of containers.
  testSource = only "temporal-bug-lab-tests" (
    sources
    ++ [
      ".devcontainer"
      "LICENSE"
      "README.md"
      "compose"
      "docs"
    ]
  );
  nixSource = only "temporal-bug-lab-nix" [
    "flake.nix"
    "nix"
  ];

  rustPackage =
    attributes:
    rustPlatform.buildRustPackage (
      {
        pname = "temporal-bug-lab";
        inherit (workspace.package) version;
        src = rustSource;
        cargoLock.lockFile = ../Cargo.lock;
        # `checks.tests` runs them.
        doCheck = false;
      }
      // attributes
    );
  rustCheck =
    name: src: inputs: command:
    rustPackage {
      inherit src;
      pname = "temporal-bug-lab-${name}";
      nativeBuildInputs = inputs;
      # Its wrapper of cargo is made for `cargo build`.
      auditable = false;
      buildPhase = ''
        export HOME=$TMPDIR
        ${command}
      '';
      installPhase = "touch $out";
      # The tests' servers listen on loopback, which the sandbox of a Mac else forbids.
      __darwinAllowLocalNetworking = true;
    };
in
rec {
  # worker, run_workflow, account-api, gateway, transfer-web and xtask: the workspace's default members.
  package = rustPackage {
    meta = {
      description = "The lab's programs";
      license = lib.licenses.mit;
      mainProgram = "xtask";
    };
  };

  shell = pkgs.mkShell {
    name = "temporal-bug-lab";
    packages = tools ++ [ pkgs.rust-analyzer ];
    # The standard library's source, for rust-analyzer.
    RUST_SRC_PATH = "${rustPlatform.rustLibSrc}";
    # The flake's, also where the checkout has downloaded another.
    BUGLAB_TEMPORAL_CLI = "${temporal-cli}/bin/temporal";
    # A debug build compiles its C without optimization, where fortify does nothing but warn.
    hardeningDisable = [ "fortify" ];
    # Silent with `--command` and for direnv: what they print may be read by a program.
    shellHook = ''
      case $- in *i*)
        echo "Temporal Bug Lab: Rust ${rustc.version}, Temporal CLI ${temporal-cli.version}"
        echo "start with: cargo xtask lab start"
      esac
    '';
  };

  # The same commands as `cargo xtask`. Here too cargo builds what a learner edits, and links it by a C compiler.
  app = {
    type = "app";
    program = lib.getExe (
      pkgs.writeShellApplication {
        name = "temporal-bug-lab";
        runtimeInputs = [
          package
          pkgs.stdenv.cc
        ]
        ++ tools;
        text =
          lib.optionalString pkgs.stdenv.hostPlatform.isDarwin ''
            export LIBRARY_PATH=${pkgs.libiconv}/lib
          ''
          + ''
            export BUGLAB_TEMPORAL_CLI="''${BUGLAB_TEMPORAL_CLI:-${temporal-cli}/bin/temporal}"
            exec xtask "$@"
          '';
      }
    );
    meta.description = "The lab's commands, to be run inside a checkout";
  };

  # What runs in a container is Linux's.
  images = lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux (
    import ./images.nix {
      inherit pkgs package;
      inherit (workspace.package) version;
    }
  );

  checks = images // {
    inherit package;
    format = rustCheck "format" rustSource [ pkgs.rustfmt ] "cargo fmt --all --check";
    clippy = rustCheck "clippy" rustSource [
      pkgs.clippy
    ] "cargo clippy --workspace --all-targets --locked -- --deny warnings";
    tests = rustCheck "tests" testSource [
      pkgs.procps
      pkgs.rustfmt
      temporal-cli
    ] "cargo test --workspace --locked --no-fail-fast -- --skip slow::";
    nix =
      pkgs.runCommand "temporal-bug-lab-nix"
        {
          nativeBuildInputs = [
            pkgs.deadnix
            pkgs.nixfmt
          ];
        }
        ''
          find ${nixSource} -name '*.nix' -exec nixfmt --check {} +
          deadnix --fail ${nixSource}
          touch $out
        '';
  };

  # `nix fmt` formats what it is given, else every Nix file of the project.
  formatter = pkgs.writeShellApplication {
    name = "temporal-bug-lab-format";
    runtimeInputs = [
      pkgs.findutils
      pkgs.nixfmt
    ];
    text = ''
      if [ $# -eq 0 ]; then set -- flake.nix nix; fi
      find "$@" -name '*.nix' -exec nixfmt {} +
    '';
  };
}
