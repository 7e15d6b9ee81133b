#include "ci/ci.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "io/process.h"
#include <stdlib.h>
#include <string.h>
struct ci_plan { struct str_list commands; };
struct ci_plan *ci_plan_create(const struct ci_options *o, struct error *err){(void)err;struct ci_plan*p=xcalloc(1,sizeof*p);if(o->commands)str_list_copy(&p->commands,o->commands);return p;}
void ci_plan_destroy(struct ci_plan*p){if(!p)return;str_list_finish(&p->commands);free(p);}
size_t ci_plan_job_count(const struct ci_plan*p){(void)p;return 0;}
const struct ci_plan_job *ci_plan_job(const struct ci_plan*p,size_t i){(void)p;(void)i;return NULL;}
const char *ci_state_name(enum ci_state s){static const char*const n[]={"passed","failed","skipped","environment","cancelled"};return n[s];}
void ci_result_finish(struct ci_result*r){for(size_t i=0;i<r->job_count;i++){free(r->jobs[i].id);free(r->jobs[i].name);free(r->jobs[i].excerpt);free(r->jobs[i].failing_step);str_list_finish(&r->jobs[i].failing_tests);}free(r->jobs);*r=(struct ci_result){0};}
int ci_run(const struct ci_plan*p,const struct ci_run_options*o,struct ci_result*r,struct error*err){
 r->jobs=xcalloc(p->commands.len,sizeof*r->jobs);
 for(size_t i=0;i<p->commands.len;i++){
  struct ci_job_result*j=&r->jobs[r->job_count++];
  struct str_list argv={0},out={0};str_list_add(&argv,"/bin/bash");str_list_add(&argv,"-c");str_list_add(&argv,p->commands.items[i]);
  struct ci_command c={.cwd=o->work_dir,.scratch_dir=o->log_dir,.argv=&argv};
  if(o->wrap(o->data,&c,&out,err)<0)return -1;
  struct process_result res={0};struct process_run_options po={.argv=(const char*const*)out.items,.cwd=o->work_dir,.merge_stderr=true};
  j->id=xasprintf("commands/%zu",i);j->name=xstrdup(p->commands.items[i]);
  if(process_run(o->loop,&po,&res,err)<0)return -1;
  j->state=res.exit.exit_code==0?CI_PASSED:CI_FAILED; j->excerpt=xstrdup(buf_cstr(&res.out)); j->failing_step=j->state==CI_FAILED?xstrdup("x"):NULL;
  { char *copy=xstrdup(buf_cstr(&res.out)); for(char*l=strtok(copy,"\n");l;l=strtok(NULL,"\n")) if(!strncmp(l,"not ok ",7)) str_list_add(&j->failing_tests,l+7); free(copy);}
  o->on_job_finished(o->data,j);
  process_result_finish(&res);str_list_finish(&argv);str_list_finish(&out);
 }
 return 0;}
