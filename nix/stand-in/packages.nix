# Packages by their names in nixpkgs. Each is a folder of links to programs of this machine.
{ lib, system }:
let
  # Written by nix/test: `search`, the folders to look in, `versions`, `targetDir` and `cargoHome`.
  host = import ./host.nix;

  # A derivation as nixpkgs makes them: attributes beside it, and `version` and `meta` to be read.
  package =
    attributes: passthru:
    derivation (
      {
        inherit system;
        builder = "/bin/bash";
        PATH = "/usr/bin:/bin";
      }
      // attributes
    )
    // passthru;

  links =
    name: programs:
    let
      version = host.versions.${name} or "0";
    in
    package
      {
        name = "${name}-${version}";
        inherit programs;
        inherit (host) search;
        args = [
          "-euc"
          ''
            mkdir -p "$out/bin"
            for program in $programs; do
              for folder in $search; do
                if [ -x "$folder/$program" ]; then ln -s "$folder/$program" "$out/bin/"; break; fi
              done
              if [ ! -e "$out/bin/$program" ]; then
                echo "this machine has no program $program, which stands in for one of nixpkgs' ${name}" >&2
                exit 1
              fi
            done
            exit 0
          ''
        ];
      }
      {
        inherit version;
        meta.mainProgram = builtins.head programs;
      };

  # A package of one program of the stand-in's own.
  script = name: text: scripts [ name ] text;
  # The same under several names.
  scripts =
    names: text:
    package {
      name = builtins.head names;
      inherit names text;
      passAsFile = [ "text" ];
      args = [
        "-euc"
        ''mkdir -p "$out/bin"; for name in $names; do install "$textPath" "$out/bin/$name"; done; exit 0''
      ];
    } { meta.mainProgram = builtins.head names; };

  # As with nixpkgs', a build and a dev shell read $stdenv/setup: the inputs' programs are on PATH, and nothing
  # else is.
  stdenv =
    package
      {
        name = "stdenv";
        initial = map toString (
          with pkgs;
          [
            bash
            coreutils
            diffutils
            findutils
            gawk
            gcc
            gnugrep
            gnumake
            gnused
            gnutar
            gzip
          ]
        );
        setup = ''
          PATH=
          for input in $nativeBuildInputs $initial; do PATH="''${PATH:+$PATH:}$input/bin"; done
          export PATH
        '';
        args = [
          "-euc"
          ''mkdir "$out"; { echo "initial='$initial'"; echo "$setup"; } > "$out/setup"; exit 0''
        ];
      }
      {
        cc = pkgs.gcc;
        hostPlatform = {
          isDarwin = system == "aarch64-darwin";
          isLinux = system != "aarch64-darwin";
        };
        mkDerivation =
          attributes:
          package (
            {
              inherit stdenv;
              outputs = [ "out" ];
              nativeBuildInputs = [ ];
              args = [
                "-euc"
                ''source "$stdenv/setup"; eval "$buildCommand"; exit 0''
              ];
            }
            // builtins.removeAttrs attributes [
              "hardeningDisable"
              "meta"
            ]
          ) { meta = attributes.meta or { }; };
      };

  # As nixpkgs' own does, it asks for a lock file that tells the hash of every dependency. The dependencies
  # themselves come from cargo's cache. It builds with the dev profile, into a folder that other builds share.
  buildRustPackage =
    {
      pname,
      version,
      src,
      cargoLock,
      nativeBuildInputs ? [ ],
      buildPhase ? "cargo build --locked --message-format json-render-diagnostics > messages",
      # What this build made, and nothing that was there before.
      installPhase ? ''
        mkdir -p "$out/bin"
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' messages | xargs -I {} cp {} "$out/bin/"
      '',
      meta ? { },
      ...
    }:
    stdenv.mkDerivation {
      inherit meta;
      name = "${pname}-${version}";
      nativeBuildInputs = [
        pkgs.cargo
        pkgs.rustc
      ]
      ++ nativeBuildInputs;
      CARGO_HOME = host.cargoHome;
      CARGO_NET_OFFLINE = "true";
      CARGO_TARGET_DIR = host.targetDir;
      buildCommand = ''
        # Always the same folder, else every build would leave a target of its own. Beside the target, not in it: cargo holds
        # what it built from files in its target to be theirs, and does not look at those of another copy.
        source=$CARGO_TARGET_DIR-copies/source
        rm -rf "$source"
        mkdir -p "$CARGO_TARGET_DIR-copies"
        cp -r ${src} "$source"
        chmod -R u+w "$source"
        cd "$source"
        cmp Cargo.lock ${cargoLock.lockFile}
        ${buildPhase}
        ${installPhase}
      '';
    };

  # As nixpkgs' own does, it makes an archive for `docker load`, of all that the contents and the configuration refer to, and
  # runs `fakeRootCommands` as a root that is none. It makes one layer of it all. The libraries that nixpkgs' programs refer
  # to in the store are this machine's here, and go along.
  buildLayeredImage =
    {
      name,
      tag,
      contents,
      config,
      fakeRootCommands,
    }:
    let
      described = pkgs.runCommand "${name}-described" {
        inherit contents;
        description = builtins.toJSON {
          inherit config;
          architecture = if system == "aarch64-linux" then "arm64" else "amd64";
          created = "1970-01-01T00:00:01Z";
          os = "linux";
          rootfs = {
            type = "layers";
            diff_ids = [ "sha256:@layer@" ];
          };
        };
        passAsFile = [ "description" ];
      } ''mkdir "$out"; cp "$descriptionPath" "$out/config"; echo "$contents" > "$out/contents"'';
    in
    package {
      inherit described fakeRootCommands;
      name = "${name}.tar.gz";
      tagged = "${name}:${tag}";
      exportReferencesGraph = [
        "graph"
        described
      ];
      passAsFile = [ "fakeRootCommands" ];
      args = [
        "-euc"
        ''
          mkdir -p root image
          grep "^$NIX_STORE/" graph | grep -v '\.drv$' | sort -u | grep -vFx "$described" > paths
          sed 's|^/||' paths | tar --create --directory / --files-from - | tar --extract --directory root
          for content in $(cat "$described/contents"); do cp --recursive --symbolic-link --no-clobber "$content"/* root/; done
          chmod -R u+w root
          find root -path "root$NIX_STORE/*/bin/*" -type f -exec ldd {} \; | grep -o '/[^ ]*' | grep -v ':$' | sed 's|^/||' | sort -u |
            tar --create --directory / --dereference --files-from - | tar --extract --directory root
          fakeroot bash -euc 'cd root; . "$fakeRootCommandsPath"; tar --create --sort name --mtime @1 --numeric-owner --file ../layer.tar .'
          layer=$(sha256sum layer.tar | cut -c -64)
          sed "s/@layer@/$layer/" "$described/config" > config.json
          config=$(sha256sum config.json | cut -c -64)
          mkdir "image/$layer"
          mv layer.tar "image/$layer/"
          mv config.json "image/$config.json"
          echo "[{\"Config\": \"$config.json\", \"RepoTags\": [\"$tagged\"], \"Layers\": [\"$layer/layer.tar\"]}]" > image/manifest.json
          tar --create --sort name --mtime @1 --directory image . | gzip --no-name > "$out"
          exit 0
        ''
      ];
    } { };

  pkgs = {
    inherit lib stdenv;
    dockerTools = { inherit buildLayeredImage; };

    mkShell =
      {
        packages ? [ ],
        ...
      }@attributes:
      stdenv.mkDerivation (
        builtins.removeAttrs attributes [ "packages" ]
        // {
          nativeBuildInputs = packages;
          buildCommand = ''touch "$out"'';
        }
      );
    runCommand =
      name: attributes: buildCommand:
      stdenv.mkDerivation (attributes // { inherit name buildCommand; });
    writeShellApplication =
      {
        name,
        runtimeInputs,
        text,
      }:
      script name ''
        #!/bin/bash
        set -o errexit -o nounset -o pipefail
        export PATH="${lib.makeBinPath runtimeInputs}:$PATH"
        ${text}
      '';

    rustPlatform = {
      inherit buildRustPackage;
      rustLibSrc = package {
        name = "rust-lib-src";
        args = [
          "-euc"
          ''mkdir "$out"; exit 0''
        ];
      } { };
    };

    # Without PATH, nixpkgs' bash has nothing on it, and Debian's the system's programs.
    bash = scripts [ "bash" "sh" ] ''
      #!/bin/sh
      /usr/bin/printenv PATH > /dev/null || export PATH=/no-such-path
      exec /bin/bash "$@"
    '';
    bashInteractive = pkgs.bash;
    runtimeShellPackage = pkgs.bash;

    cacert = package {
      name = "cacert";
      args = [
        "-euc"
        ''mkdir -p "$out/etc/ssl/certs"; echo "stands in for certificates" > "$out/etc/ssl/certs/ca-bundle.crt"; exit 0''
      ];
    } { };

    cargo = links "cargo" [ "cargo" ];
    clippy = links "clippy" [
      "cargo-clippy"
      "clippy-driver"
    ];
    coreutils = links "coreutils" (
      lib.words "basename cat chmod chown cp cut date df dirname du echo env expr false head id install kill ln ls mkdir mkfifo mktemp mv nproc od paste printenv printf pwd readlink realpath rm rmdir seq sha256sum sleep sort split stat sync tail tee test timeout touch tr true tty uname uniq wc whoami yes"
    );
    deadnix = links "deadnix" [ "deadnix" ];
    diffutils = links "diffutils" [
      "cmp"
      "diff"
    ];
    findutils = links "findutils" [
      "find"
      "xargs"
    ];
    gawk = links "gawk" [ "awk" ];
    gcc = links "gcc" (lib.words "ar as c++ cc g++ gcc ld nm objcopy ranlib strip");
    gnugrep = links "gnugrep" [ "grep" ];
    gnumake = links "gnumake" [ "make" ];
    gnused = links "gnused" [ "sed" ];
    gnutar = links "gnutar" [ "tar" ];
    gzip = links "gzip" [ "gzip" ];
    libiconv = links "libiconv" [ ];
    nixfmt = links "nixfmt" [ "nixfmt" ];
    procps = links "procps" [ "ps" ];
    # An editor's: nothing that runs here needs it, and many machines do not have it.
    rust-analyzer = script "rust-analyzer" ''
      #!/bin/sh
      echo "stands in for rust-analyzer"
    '';
    rustc = links "rustc" [
      "rustc"
      "rustdoc"
    ];
    rustfmt = links "rustfmt" [
      "cargo-fmt"
      "rustfmt"
    ];
    temporal-cli = links "temporal-cli" [ "temporal" ];
  };
in
pkgs
