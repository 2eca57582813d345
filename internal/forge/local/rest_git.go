package local

// gitRoutes are the operations on branches, refs, objects and files.
func gitRoutes() []route {
	const r = "/repos/{owner}/{repo}"
	return []route{
		{method: "GET", pattern: r + "/branches", serve: listBranches},
		{method: "GET", pattern: r + "/branches/{branch...}", serve: getBranch},
		{method: "PUT", pattern: r + "/branches/{branch...}", serve: changeProtection},
		{method: "POST", pattern: r + "/branches/{branch...}", serve: changeBranch},
		{method: "PATCH", pattern: r + "/branches/{branch...}", serve: changeProtection},
		{method: "DELETE", pattern: r + "/branches/{branch...}", serve: changeProtection},
		{method: "GET", pattern: r + "/tags", serve: listTags},
		{method: "GET", pattern: r + "/git/refs", serve: listRefs},
		{method: "GET", pattern: r + "/git/refs/{ref...}", serve: getRefs},
		{method: "GET", pattern: r + "/git/ref/{ref...}", serve: getRef},
		{method: "GET", pattern: r + "/git/matching-refs/{ref...}", serve: matchingRefs},
		{method: "POST", pattern: r + "/git/refs", serve: createRef},
		{method: "PATCH", pattern: r + "/git/refs/{ref...}", serve: updateRef},
		{method: "DELETE", pattern: r + "/git/refs/{ref...}", serve: deleteRef},
		{method: "GET", pattern: r + "/git/commits/{sha}", serve: getGitCommit},
		{method: "POST", pattern: r + "/git/commits", serve: createGitCommit},
		{method: "GET", pattern: r + "/git/trees/{sha...}", serve: getTree},
		{method: "POST", pattern: r + "/git/trees", serve: createTree},
		{method: "GET", pattern: r + "/git/blobs/{sha}", serve: getBlob},
		{method: "POST", pattern: r + "/git/blobs", serve: createBlob},
		{method: "GET", pattern: r + "/git/tags/{sha}", serve: getGitTag},
		{method: "POST", pattern: r + "/git/tags", serve: createGitTag},
		{method: "GET", pattern: r + "/commits", serve: listCommits},
		{method: "GET", pattern: r + "/commits/{ref...}", serve: getCommit},
		{method: "GET", pattern: r + "/compare/{basehead...}", serve: compare},
		{method: "GET", pattern: r + "/contents", serve: getContents},
		{method: "GET", pattern: r + "/contents/{path...}", serve: getContents},
		{method: "PUT", pattern: r + "/contents/{path...}", serve: putContents},
		{method: "DELETE", pattern: r + "/contents/{path...}", serve: deleteContents},
		{method: "GET", pattern: r + "/readme", serve: getReadme},
		{method: "POST", pattern: r + "/merges", serve: mergeBranches},
		{method: "POST", pattern: r + "/merge-upstream", serve: mergeUpstream},
	}
}
