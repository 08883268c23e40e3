# What `nix flake new -t <this flake> my-lab` copies: the project. What a run leaves behind is not in it: git ignores that, and the flake
# rejects a folder that is not a git checkout and has such files.
{
  description = "A working copy of the lab, yours to break and fix";
  path = ../.;
  welcomeText = ''
    # Your lab

    Nix sees what git knows, so first, in the new folder:

        git init && git add --all

    Then start the lab:

        nix develop --command cargo xtask lab start
  '';
}
