//! placeholder
use anyhow::Result;
use clap::Args;
/// x
#[derive(Args)]
pub(crate) struct Options {}
pub(crate) fn run(_o: &Options) -> Result<()> {
    Ok(())
}
