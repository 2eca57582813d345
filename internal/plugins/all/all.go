// Package all lists the plugins that are compiled into hook. A new plugin is a
// package beside this one and a line here.
package all

import (
	"prow/internal/plugins"
	"prow/internal/plugins/approve"
	"prow/internal/plugins/assign"
	"prow/internal/plugins/blockade"
	"prow/internal/plugins/blunderbuss"
	"prow/internal/plugins/branchcleaner"
	"prow/internal/plugins/cherrypickapproved"
	"prow/internal/plugins/cherrypickunapproved"
	"prow/internal/plugins/cla"
	"prow/internal/plugins/configupdater"
	"prow/internal/plugins/dco"
	"prow/internal/plugins/help"
	"prow/internal/plugins/hold"
	"prow/internal/plugins/invalidcommitmsg"
	"prow/internal/plugins/label"
	"prow/internal/plugins/lgtm"
	"prow/internal/plugins/lifecycle"
	"prow/internal/plugins/mergecommitblocker"
	"prow/internal/plugins/mergemethodcomment"
	"prow/internal/plugins/milestone"
	"prow/internal/plugins/milestoneapplier"
	"prow/internal/plugins/milestonestatus"
	"prow/internal/plugins/override"
	"prow/internal/plugins/ownerslabel"
	"prow/internal/plugins/releasenote"
	"prow/internal/plugins/requirematchinglabel"
	"prow/internal/plugins/retitle"
	"prow/internal/plugins/size"
	"prow/internal/plugins/skip"
	"prow/internal/plugins/trigger"
	"prow/internal/plugins/verifyowners"
	"prow/internal/plugins/wip"
)

// Plugins are all plugins by name.
func Plugins() map[string]*plugins.Plugin {
	byName := map[string]*plugins.Plugin{}
	for _, p := range []*plugins.Plugin{
		approve.New(),
		assign.New(),
		blockade.New(),
		blunderbuss.New(),
		branchcleaner.New(),
		cherrypickapproved.New(),
		cherrypickunapproved.New(),
		cla.New(),
		configupdater.New(),
		dco.New(),
		help.New(),
		hold.New(),
		invalidcommitmsg.New(),
		label.New(),
		lgtm.New(),
		lifecycle.New(),
		mergecommitblocker.New(),
		mergemethodcomment.New(),
		milestone.New(),
		milestoneapplier.New(),
		milestonestatus.New(),
		override.New(),
		ownerslabel.New(),
		releasenote.New(),
		requirematchinglabel.New(),
		retitle.New(),
		size.New(),
		skip.New(),
		trigger.New(),
		verifyowners.New(),
		wip.New(),
	} {
		byName[p.Name] = p
	}
	return byName
}
